"""Several processes that train one model together: `environment` tells of MPI, `group` and `ranks` are one or many."""
