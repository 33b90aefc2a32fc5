import Foundation

/// What `--experimental-dump-help` prints: a program's commands with their arguments.
struct ToolDescription: Decodable {
    struct Command: Decodable {
        let commandName: String
        let abstract: String?
        let discussion: String?
        let shouldDisplay: Bool?
        let subcommands: [Command]?
        let arguments: [Argument]?

        /// The arguments that the help shows.
        var shownArguments: [Argument] { (arguments ?? []).filter { $0.shouldDisplay ?? true } }

        /// The commands that the help shows, without `help` itself.
        var shownSubcommands: [Command] {
            (subcommands ?? []).filter { ($0.shouldDisplay ?? true) && $0.commandName != "help" }
        }
    }

    struct Argument: Decodable {
        enum Kind: String, Decodable {
            case positional
            case option
            case flag
        }

        struct Name: Decodable {
            enum Kind: String, Decodable {
                case long
                case short
                case longWithSingleDash
            }

            let kind: Kind
            let name: String

            /// The name as a user writes it.
            var text: String { (kind == .long ? "--" : "-") + name }
        }

        let kind: Kind
        let shouldDisplay: Bool?
        let isOptional: Bool
        let isRepeating: Bool
        let names: [Name]?
        let valueName: String?
        let defaultValue: String?
        let allValueStrings: [String]?
        let abstract: String?
        let discussion: String?
    }

    let command: Command

    init(json: Data) throws {
        self = try JSONDecoder().decode(Self.self, from: json)
    }
}
