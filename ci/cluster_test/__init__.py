"""The platform on a real Kubernetes: applied as declared, waited for, and proven."""
