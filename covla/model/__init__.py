"""The model: towers, context graph, alignment (CAM), fusion (CMF)."""
