"""Our Pulumi provider `machine`: processes, files, databases and warehouse objects on one machine."""
