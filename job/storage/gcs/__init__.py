"""The store on Google Cloud Storage."""
