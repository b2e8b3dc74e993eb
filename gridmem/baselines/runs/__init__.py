"""Files of training runs, and pictures of them."""
