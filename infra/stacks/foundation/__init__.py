"""The ground of an AWS account: network, keys, images, logs."""
