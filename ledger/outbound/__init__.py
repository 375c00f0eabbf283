"""What this server asks of others: kubelets, pods, extension servers and webhooks, over HTTP/1.1 and TLS."""
