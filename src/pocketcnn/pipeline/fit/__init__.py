"""`fit`: training of candidate networks for a budget, and the whole run from images to the deployable file."""
