"""An event-sourced, Kubernetes-compatible API server. docs/ARCHITECTURE.md names the rooms; imports point down only."""
