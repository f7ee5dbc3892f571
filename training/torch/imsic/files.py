"""What the files of a trained generator are called."""

CODEC, NETWORKS, CLOUDS = "codec.safetensors", "networks.safetensors", "clouds.safetensors"
