"""The ground: database roles, tenant scope, privileges, pool, partitions and the embedded server."""
