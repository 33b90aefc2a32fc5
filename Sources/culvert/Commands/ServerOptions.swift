import ArgumentParser

/// The flags of `culvert server`.
struct ServerOptions: ParsableArguments {
    @Option(help: "Where to accept WebSockets: ADDR:PORT or unix:PATH; may be repeated. (default: 127.0.0.1:8080)")
    var listen: [String] = []

    @Option(help: "The mode of a unix socket to listen on, for instance 0660. (default: the umask's)")
    var listenMode: String?

    @Option(help: "The group of a unix socket to listen on, by name or number; it sets the mode to 0660 by default.")
    var listenGroup: String?

    @Option(help: "The folder in which clients may have Unix sockets, -R /FOLDER/NAME:... (default: none)")
    var unixDirectory: String?

    @Option(help: "The mode of clients' Unix sockets, for instance 0660. (default: 0600)")
    var unixMode: String?

    @Option(help: "The group of clients' Unix sockets, by name or number; it sets the mode to 0660 by default.")
    var unixGroup: String?

    @Option(help: "The endpoint's path. (default: /tunnel)")
    var path: String?

    @Option(help: "The address of public ports. (default: all; loopback without a token)")
    var publicAddress: String?

    @Option(help: "Ports that clients may ask for. (default: 1024-65535)")
    var allowPorts: String?

    @Option(
        help: """
            A destination that clients of --token-file may reach from here, for instance db.internal:5432, 10.1.0.0/16:* \
            or /run/postgresql/*; may be repeated. (default: none)
            """
    )
    var allowConnect: [String] = []

    @Option(help: "Where to accept requests for host names: ADDR:PORT or unix:PATH; may be repeated. (default: none)")
    var httpListen: [String] = []

    @Option(
        help: """
            Where to accept TLS for host names: ADDR:PORT or unix:PATH; may be repeated. [[certificate]] in the \
            configuration has the certificates. (default: none)
            """
    )
    var httpsListen: [String] = []

    @Option(help: "The domain of host names without a dot, for instance example.com. (default: none)")
    var httpDomain: String?

    @Option(
        help: """
            A host name that clients of --token-file may have, for instance app.example.com, *.example.com or *; may be \
            repeated. (default: none)
            """
    )
    var allowNames: [String] = []

    @Option(help: "A certificate chain in PEM, or one certificate in DER, to speak TLS without a front.")
    var tlsCertificate: String?

    @Option(help: "The certificate's key, PEM or DER.")
    var tlsKey: String?

    @Option(help: "A CA, PEM or DER; each client must show a certificate that it has signed. (default: none)")
    var tlsClientCa: String?

    @Option(
        help: """
            The file of the server's private key, which is made with a new key if it is missing. (default: server.key in the \
            state folder)
            """
    )
    var keyFile: String?

    @Option(
        help: """
            Whether sessions are sealed end to end: auto takes clients with the seal and without, required refuses those \
            without, off does not offer it. (default: auto)
            """
    )
    var encryption: String?

    @Option(help: "An Origin from which browsers' pages may connect; may be repeated. (default: none)")
    var allowOrigin: [String] = []

    @Option(
        help: """
            A front whose statement about a connection's source is believed: an address, a block, or unix; may be \
            repeated. (default: none)
            """
    )
    var trustedFront: [String] = []

    @Option(help: "A web server that gets all other requests, http://HOST:PORT. (default: they are answered with 404)")
    var backend: String?

    @Option(help: "A file with the token that clients must know.")
    var tokenFile: String?

    @Option(
        help: """
            Serve metrics and health at ADDR:PORT or unix:PATH, the latter also for `culvert status`; may be repeated. \
            There is a standard socket besides, unless one is none.
            """
    )
    var admin: [String] = []

    @Option(help: "A configuration in TOML; flags win over it.")
    var config: String?

    @OptionGroup var log: LogOptions
}
