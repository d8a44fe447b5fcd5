"""The ports on confluent-kafka, which comes with the extra ``confluent``."""
