"""What is measured of a customer: definitions, aggregates, and the vectors made of them."""
