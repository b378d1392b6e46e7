"""What watches a training: checkpoints, logs, progress, samples."""
