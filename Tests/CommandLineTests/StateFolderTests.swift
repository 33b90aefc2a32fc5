import Testing

@testable import culvert

@Suite("The state folder")
struct StateFolderTests {
    @Test(
        "it is the unit's first folder, or culvert in the user's state folder",
        arguments: [
            (["STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x", "HOME": "/h"], "/var/lib/a"),
            (["XDG_STATE_HOME": "/x", "HOME": "/h"], "/x/culvert"),
            (["HOME": "/h"], "/h/.local/state/culvert"),
            (["STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/h"], "/h/.local/state/culvert"),
            (["STATE_DIRECTORY": "a", "XDG_STATE_HOME": "x", "HOME": "/h"], "/h/.local/state/culvert"),
        ]
    )
    func path(environment: [String: String], expected: String) {
        let folder = StateFolder(environment)
        #expect(folder.path == expected)
        #expect(folder.serverKey == "\(expected)/server.key")
        #expect(folder.knownServers == "\(expected)/known_servers")
    }

    @Test("without a home there is none", arguments: [[:], ["HOME": ""], ["HOME": "h"], ["XDG_STATE_HOME": "x"]])
    func none(environment: [String: String]) {
        let folder = StateFolder(environment)
        #expect(folder.path == nil && folder.serverKey == nil && folder.knownServers == nil)
    }

    @Test("only a unit's folder is the unit's")
    func unit() {
        #expect(StateFolder(["STATE_DIRECTORY": "/a:/b"]).ofUnit == "/a")
        #expect(StateFolder(["XDG_STATE_HOME": "/x", "HOME": "/h"]).ofUnit == nil)
    }
}
