"""The words that stages share: targets, metrics, labels, parsing of raw cells, and problems of rows."""
