"""Training a network on a folder of images, and using it: accuracy on a folder, classes of images."""
