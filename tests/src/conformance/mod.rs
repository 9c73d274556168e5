//! What every implementation of a port has to do, whatever it is made of.
