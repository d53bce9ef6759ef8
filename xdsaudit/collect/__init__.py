"""The imperative shell: files, archives, gRPC and HTTP turned into snapshots. Decides nothing."""
