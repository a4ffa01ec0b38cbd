"""`covla demo`: the whole loop on real parts, from posts on Kafka to a retrained champion."""
