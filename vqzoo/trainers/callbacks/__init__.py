"""Training callbacks: checkpoints, logs, progress, samples."""
