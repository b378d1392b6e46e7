"""Functions of waveforms: spectra, resampling, distances."""
