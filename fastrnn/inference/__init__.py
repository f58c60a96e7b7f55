"""Use of trained models: loading, sampling, decoding, prediction, evaluation."""
