import Logging
import ProxyConnect
import Tunnel

/// What `--proxy` and `proxy` name: a way, or a script that names ways.
enum ProxyArgument: Sendable, Equatable {
    case choice(ProxyChoice)
    case script(ProxyScriptLocation)

    /// Why a text is neither.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ text: String) throws(Malformed) {
        do {
            self =
                ProxyScriptLocation.isMeant(by: text)
                ? .script(try ProxyScriptLocation(text)) : .choice(try ProxyChoice(argument: text))
        } catch {
            throw Malformed(description: "\(error)")
        }
    }
}

/// The ways to an endpoint, in the order of the arguments; scripts are asked for theirs.
///
/// A script that cannot be asked now is passed over where other ways are left: somebody who names `none` behind a script
/// wants to be connected at home, too.
struct ProxyWays: Sendable {
    private enum Source: Sendable {
        case choice(ProxyChoice)
        case script(ProxyScript)
    }

    private let sources: [Source]
    private let logger: Logger

    init(_ arguments: [ProxyArgument], logger: Logger) {
        self.logger = logger
        sources = arguments.map { argument in
            switch argument {
            case .choice(let choice): .choice(choice)
            case .script(let location):
                .script(ProxyScript(location, engine: ProxyScriptProcess(), logger: logger))
            }
        }
    }

    func choices(for endpoint: EndpointURL) async throws(DialError) -> [ProxyChoice] {
        var choices: [ProxyChoice] = []
        var failures: [DialError] = []
        for source in sources {
            switch source {
            case .choice(let choice):
                choices.append(choice)
            case .script(let script):
                do throws(DialError) {
                    choices += try await script.choices(for: endpoint)
                } catch {
                    guard error.disposition == .retry, !Task.isCancelled else { throw error }
                    failures.append(error)
                }
            }
        }
        if choices.isEmpty, let failure = failures.first { throw failure }
        for failure in failures { logger.warning("\(failure)") }
        return choices
    }
}
