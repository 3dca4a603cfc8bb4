"""The demo story: real handwritten digits, a real classifier, one wrong parcel."""
