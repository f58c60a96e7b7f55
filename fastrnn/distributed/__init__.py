"""Data-parallel training: `environment` detects an MPI launcher, `communicator` and `mpi` do collectives."""
