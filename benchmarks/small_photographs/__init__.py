"""Small unbalanced sets of pictures: the sets, and a plain PyTorch loop to compare with."""
