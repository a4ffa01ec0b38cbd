"""`covla demo`: the whole story on real parts, from posts on Kafka to a retrained champion."""
