"""How each declaration is made on Kubernetes: restricted pods, each with an identity and a network of its own."""
