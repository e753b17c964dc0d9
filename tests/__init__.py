"""The suite: real servers, real sockets, real ffmpeg."""
