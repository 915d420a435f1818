# The main program of the Python runtimes. Python compiles the main program anew at each start, so
# there is nothing here: the rest lies in a package whose compiled form is at hand.
from kiln_runtime import main

main()
