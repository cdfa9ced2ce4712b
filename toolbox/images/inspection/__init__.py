"""Look at a picture before restoring it: noise, JPEG, blur and clipping, and the model that it would take."""
