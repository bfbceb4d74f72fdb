"""Messages, samples and mixtures; knows no devices and no optimisers."""
