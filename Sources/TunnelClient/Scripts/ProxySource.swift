import ProxyConnect

/// A source of proxies: one proxy, none, or a script that names some.
public enum ProxySource: Sendable, Equatable {
    /// This proxy, or a direct connection.
    case choice(ProxyChoice)
    /// The script at this address.
    case script(ProxyScriptLocation)

    /// The reason why a text names no source.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        public let description: String
    }

    /// Reads `none`, the URL of a proxy, or the address of a script (`pac+http://…`, `pac+file:///…`).
    ///
    /// - Throws: ``Malformed`` for anything else.
    public init(_ text: String) throws(Malformed) {
        do {
            self =
                ProxyScriptLocation.isMeant(by: text)
                ? .script(try ProxyScriptLocation(text)) : .choice(try ProxyChoice(argument: text))
        } catch {
            throw Malformed(description: "\(error)")
        }
    }
}
