"""Set-up work that runs inside the cluster, because only there the servers are reached. Every job may run again."""
