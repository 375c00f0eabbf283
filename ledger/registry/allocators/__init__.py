"""What objects are given from pools that all objects of a kind share, in the commit that stores them."""
