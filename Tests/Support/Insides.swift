/// Finds internals in texts for users: names of types and cases, lists in brackets, paths of the build.
public enum Insides {
    private static let marks = [
        "NIOSSL", "NIOCore", "NIOPosix", "NIOConnection", "BoringSSL", "sslError", "unknownError", "handshakeFailed",
        "shutdownFailed", "uncleanShutdown", "failedToLoad", "failedToValidate", "invalidSNI", "IOError",
        "ChannelError",
        "ioOnClosedChannel", "connectTimeout(", "inputClosed", "DecodingError", "CodingKeys", "SocketAddressError",
        "OPENSSL_internal", "(errno", "errno:", "([", "Error(", "Optional(", "Domain=", "Swift.", "Tunnel.", "Mux.",
        ".swift:", ".cc:", "/checkouts/", "_FAILED", "_ALERT_",
    ]

    /// The first internal in a text; nil for a plain text.
    public static func found(in text: String) -> String? { marks.first(where: text.contains) }
}
