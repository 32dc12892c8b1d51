"""What follows from other files below charts/ and k8s/: `make manifests` writes it."""
