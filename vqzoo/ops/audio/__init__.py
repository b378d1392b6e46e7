"""Numbers of waveforms: spectra, resampling, distances."""
