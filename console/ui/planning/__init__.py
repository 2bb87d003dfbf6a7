"""Planning in the window: which cards a request should get, what they would cost, and how long the cards will last."""
