"""Networks as programs in files, which run where there is no Toolbox."""
