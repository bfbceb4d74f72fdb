"""The open corpus: unified samples from an open data folder and from rendered clips, whose texts say no more than labels and truth do."""
