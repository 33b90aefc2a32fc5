/// Finds internal names in texts for users: names of types and cases, lists in brackets, paths of the build.
public enum InternalNames {
    private static let names = [
        "NIOSSL", "NIOCore", "NIOPosix", "NIOConnection", "BoringSSL", "sslError", "unknownError", "handshakeFailed",
        "shutdownFailed", "uncleanShutdown", "failedToLoad", "failedToValidate", "invalidSNI", "IOError",
        "ChannelError",
        "ioOnClosedChannel", "connectTimeout(", "inputClosed", "DecodingError", "CodingKeys", "SocketAddressError",
        "OPENSSL_internal", "(errno", "errno:", "([", "Error(", "Optional(", "Domain=", "Swift.", "Tunnel.", "Mux.",
        ".swift:", ".cc:", "/checkouts/", "_FAILED", "_ALERT_",
    ]

    /// The first internal name in a text; nil if there is none.
    public static func first(in text: String) -> String? { names.first(where: text.contains) }
}
