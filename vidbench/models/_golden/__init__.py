"""Published logits of models, and the check against them."""
