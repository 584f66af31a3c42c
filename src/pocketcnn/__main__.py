"""`python -m pocketcnn`: the command line."""

from pocketcnn.cli.app import main

if __name__ == "__main__":
    main()
