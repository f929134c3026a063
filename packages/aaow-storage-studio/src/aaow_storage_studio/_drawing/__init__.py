"""Pictures in SVG, made on the server from plain values: they know no storage, no requests and no templates."""
