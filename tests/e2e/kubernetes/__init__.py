"""Scenarios on a real Kubernetes; `make e2e` starts one and hands it in."""
