from ncyber_cli.cli import main

main()
