"""The engine's edges: Kafka clients, Redis, memory, files, and servers from wheels."""
